"""Administration: reload the catalogue, enrol and revoke staff keys, erase what need not be kept."""
