"""A kit to prove that a connector never takes a failure for an answer; importable by whoever writes an adapter.

`faults.FaultServer` is a real server on loopback that misbehaves on demand; `expectations` says what each misbehaviour
must become.
"""
