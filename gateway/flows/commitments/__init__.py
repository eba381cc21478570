"""The life of a commitment (告知承诺), one act a file: from notice over signature and decision to what is asked later.

`prepare` hands out the document, `record` takes it signed, `withdraw` takes it back, `decide` puts it in force, `sweep`
ends what ran out of time, `contest` has a person look at a refusal, `standing` asks the sources again; `life` names
them all.
"""
