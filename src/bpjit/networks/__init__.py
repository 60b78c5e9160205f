"""Networks, their files, the scaling of data, and what can be said of them on given data."""
