"""What follows a failure: republished copies, poison messages, error reports. And drains of queues."""
