"""What every engine must do, as test classes to inherit from."""
