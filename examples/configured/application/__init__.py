"""The application, assembled from its configuration."""
