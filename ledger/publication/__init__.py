"""The log as the world sees it: the static resources of https://c2sp.org/tlog-tiles, written, served, read and checked.

A published log is a checkpoint, tiles and entry bundles, under one URL prefix or in one directory. Nothing here knows
HTTP servers; what is read from others is proved against a signed checkpoint before it is used.
"""
