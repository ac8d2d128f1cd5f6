"""One module a group of commands: parse, call, render. Heavy imports wait inside the functions."""
