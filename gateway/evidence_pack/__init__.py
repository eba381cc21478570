"""Evidence packs: everything that proves one commitment, as one ZIP file that verifies offline, without this project.

`collect` reads a commitment's parts from a ledger and writes the file; `check` verifies one with nothing but the log's
public key, and names every check that fails. The same content gives the same bytes.

    MANIFEST                 SHA-256 of every other file, as `sha256sum -c` reads it
    README.md README.zh-CN.md   what is what, and the commands of openssl that verify it
    document.json            the exact bytes that were signed (canonical JSON, RFC 8785)
    document.txt letter.pdf  the same for reading (the PDF where letters are made)
    signature.json           the evidence as it is kept in the vault
    signature.bin            the signature: by the signer, or by the clerk who witnessed
    signer.pem authority-N.pem anchor.pem revocation-N.crl|ocsp          by certificate
    handwriting.png|jpg witness.json signer-key.pem                        witnessed
    staff-key.disclosure.json staff-key-enrolled.tlog-proof staff-key-revoked.tlog-proof   the clerk's key in the ledger
    assertion.jws assertion.txt signer-key.pem                             by a real-name platform
    timestamp.tsr tsa-roots.pem     a time stamp of document and signature (RFC 3161), where one was made
    entry.json recorded.tlog-proof  the entry in the ledger and its receipt (C2SP tlog-proof)
    checkpoint.txt checkpoint.sig log-key.pem log.vkey log.history         the log's signature over the receipt's root
    recorded.disclosure.json prepared.disclosure.json   that the entries commit to signature.json and document.json
    story.json complete.json        what became of the commitment, and what it rests on: receipts; and that this is all
    answer.disclosure.json eligibility.disclosure.json  what the unit was told before, and what was known of the signer
    check.py                 checks with Python alone that all this is of one act, and in the log
"""
