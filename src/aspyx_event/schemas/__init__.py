"""JSON Schemas of event classes, by pydantic and jsonschema alone."""
