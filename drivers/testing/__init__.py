"""What every camera and every SLM must do, as test classes to inherit from."""
