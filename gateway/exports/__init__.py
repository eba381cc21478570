"""Tables as files: which columns a commitment becomes, and the writers of CSV, XLSX and JSON lines."""
