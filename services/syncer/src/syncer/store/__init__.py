"""The tables of this service, and the views of other services that it reads."""
