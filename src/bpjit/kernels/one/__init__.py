"""One network, as fast as the machine allows: sample by sample, in batches, or as data stream in."""
