"""What the gateway does, one verb a file: a flow takes parsed values and a caller, and gives back what is recorded.

It applies rules (`gateway.rules`), asks sources (`connectors`) and appends to the ledger. The rooms, in the order in
which an application meets them:

- `verification`: ask the sources, judge, say what follows;
- `assistance`: ask people where no source can answer (协查), and answer the claim again;
- `commitments`: prepare, sign and record what the applicant promises instead; withdraw, decide, ask again later;
- `audit`: from a discrepancy to a final finding, what the credit platform is told, and repair;
- `reading`: what is handed out: lists, exports, letters, evidence packs;
- `administration`: reload the catalogue, enrol staff keys, erase what need not be kept.

What they all stand on: `once` (a request is done once, and nothing is answered that is not recorded), `look_up` and
`selecting` (what is recorded, for whoever may see it), `second_officer` (separation of duties).
"""
