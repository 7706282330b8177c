"""The engine of one manager: `sending`, `receiving`, `failure`, `subscribing`, `operations`, and the `runtime` they share."""
