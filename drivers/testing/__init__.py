"""Test classes that state what every camera and every SLM must do, and simulated devices to test with."""
