"""The event contract of Jobtrail in Python: envelope, message types, the fold, the emitter, the worker loop."""
