"""Event -> envelope -> interceptors -> provider -> receipt."""
