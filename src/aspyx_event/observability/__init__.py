"""What operators see: health, and, with the extra `otel`, metrics and traces."""
