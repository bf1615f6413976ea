"""The command line: one thin file for each verb over the functions of the package. Only here are click and rich."""
