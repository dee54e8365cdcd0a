"""Local servers that speak the platforms' protocols, faults included. Nothing of Jobtrail is imported here."""
