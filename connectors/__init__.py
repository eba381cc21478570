"""Ask the departments that know: adapters for each kind of data source, behind one protocol."""
