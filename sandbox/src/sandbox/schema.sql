-- Everything the sandbox must still know after a kill -9. One row a record of a shop; the document is the
-- platform's own JSON (keys with a leading underscore are ours and never leave through a platform's API).
CREATE TABLE IF NOT EXISTS shops (
    shop     TEXT PRIMARY KEY,          -- 'nhanh:<businessId>' or 'shopify:<slug>'
    platform TEXT NOT NULL CHECK (platform IN ('nhanh', 'shopify')),
    account  TEXT NOT NULL,
    digest   TEXT NOT NULL,             -- of the recipe and of the file's bytes
    access   TEXT NOT NULL,             -- JSON: credentials
    settings TEXT NOT NULL,             -- JSON: switches and limits
    report   TEXT NOT NULL,             -- JSON: how the catalogue loaded
    UNIQUE (account, platform)
);

CREATE TABLE IF NOT EXISTS records (
    shop             TEXT NOT NULL,
    kind             TEXT NOT NULL,
    id               INTEGER NOT NULL,
    parent           TEXT,
    code             TEXT,
    barcode          TEXT,
    email            TEXT,
    phone            TEXT,
    title            TEXT,
    updated_at       INTEGER NOT NULL,
    stock_updated_at INTEGER NOT NULL DEFAULT 0,
    doc              BLOB NOT NULL,
    PRIMARY KEY (shop, kind, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS records_parent ON records (shop, kind, parent, id);
CREATE INDEX IF NOT EXISTS records_updated ON records (shop, kind, updated_at, id);
CREATE INDEX IF NOT EXISTS records_code ON records (shop, kind, code);
CREATE INDEX IF NOT EXISTS records_barcode ON records (shop, kind, barcode);
CREATE INDEX IF NOT EXISTS records_phone ON records (shop, kind, phone);
CREATE INDEX IF NOT EXISTS records_email ON records (shop, kind, email);

CREATE TABLE IF NOT EXISTS writes (
    shop  TEXT NOT NULL,
    kind  TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (shop, kind)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS idempotency (
    shop     TEXT NOT NULL,
    mutation TEXT NOT NULL,
    key      TEXT NOT NULL,
    params   TEXT NOT NULL,
    answer   TEXT NOT NULL,
    PRIMARY KEY (shop, mutation, key)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS faults (
    id   INTEGER PRIMARY KEY,
    spec TEXT NOT NULL
);
