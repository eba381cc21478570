"""Witnesses: outsiders who cosign a log's checkpoints and remember, so that it cannot show two histories.

`policy` says whose cosignatures are needed, `client` asks for them on the log's side, `witness` and `server` are a
witness of our own (https://c2sp.org/tlog-witness, https://c2sp.org/tlog-policy).
"""
