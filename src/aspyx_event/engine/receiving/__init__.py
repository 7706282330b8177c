"""Delivery -> worker -> interceptors -> handler -> settled."""
