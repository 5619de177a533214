"""What people run around `pulumi up`: one module a command, called as `python -m ops COMMAND`."""
