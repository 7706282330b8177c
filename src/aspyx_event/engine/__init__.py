"""The engine of a manager: `sending`, `receiving`, `failure`, `subscribing`, `operations`, and the `runtime` they share."""
