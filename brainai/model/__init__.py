"""The network and the folder it is kept in."""
