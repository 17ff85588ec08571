"""Live scores, their changes and the newest usage into Redis or Valkey."""
