"""The one writer of the catalogue in the schema `puller`."""
