"""Where the house is put together: constructors take their collaborators, and this room calls them.

`opening` and `ledger` open what the settings name, `flows` and `services` put it together, `serving` runs it.
"""
