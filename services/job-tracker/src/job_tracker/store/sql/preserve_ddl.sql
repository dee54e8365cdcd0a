-- name: blockers
-- Objects that depend on the tables, their partitions or row types, and that `dependents` cannot recreate.
WITH replaced AS (
    SELECT oid, reltype FROM pg_class
    WHERE oid IN ('tracker.job'::regclass, 'tracker.rollup'::regclass, 'tracker.event'::regclass)
    UNION ALL
    SELECT c.oid, c.reltype FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'tracker.event'::regclass
),
dependent AS (
    SELECT d.classid, d.objid, d.objsubid FROM pg_depend AS d JOIN replaced AS r
        ON d.refclassid = 'pg_class'::regclass AND d.refobjid = r.oid
    UNION
    SELECT d.classid, d.objid, d.objsubid FROM pg_depend AS d
    JOIN pg_type AS t ON d.refclassid = 'pg_type'::regclass AND d.refobjid = t.oid
    JOIN replaced AS r ON r.reltype IN (t.oid, t.typelem)
    WHERE NOT (d.classid = 'pg_type'::regclass AND d.deptype = 'i')
)
SELECT pg_describe_object(classid, objid, objsubid) FROM dependent
WHERE CASE classid
    WHEN 'pg_rewrite'::regclass THEN NOT EXISTS (
        SELECT FROM pg_rewrite AS w JOIN pg_class AS c ON c.oid = w.ev_class
        WHERE w.oid = objid AND c.relkind = 'v')
    WHEN 'pg_constraint'::regclass THEN NOT EXISTS (
        SELECT FROM pg_constraint AS k JOIN replaced AS r ON r.oid = k.conrelid
        WHERE k.oid = objid AND k.contype IN ('p', 'u', 'c', 'n'))
    WHEN 'pg_trigger'::regclass THEN EXISTS (
        SELECT FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
        WHERE t.oid = objid AND c.relispartition AND t.tgparentid = 0 AND NOT t.tgisinternal)
    WHEN 'pg_policy'::regclass THEN NOT EXISTS (
        SELECT FROM pg_policy AS p JOIN replaced AS r ON r.oid = p.polrelid
        WHERE p.oid = objid AND r.oid NOT IN (SELECT inhrelid FROM pg_inherits))
    WHEN 'pg_class'::regclass THEN NOT EXISTS (
        SELECT FROM pg_class AS c
        WHERE c.oid = objid AND (c.relkind IN ('i', 'I', 't') OR c.oid IN (SELECT oid FROM replaced)))
    WHEN 'pg_type'::regclass THEN NOT EXISTS (SELECT FROM replaced WHERE reltype = objid)
    WHEN 'pg_attrdef'::regclass THEN NOT EXISTS (
        SELECT FROM pg_attrdef AS a JOIN replaced AS r ON r.oid = a.adrelid WHERE a.oid = objid)
    WHEN 'pg_publication_rel'::regclass THEN false
    ELSE true
END
UNION
SELECT 'publication ' || pubname FROM pg_publication_tables
WHERE schemaname = 'tracker' AND to_regclass('tracker.' || quote_ident(tablename)) IN (SELECT oid FROM replaced)
ORDER BY 1

-- name: column_settings
SELECT format('ALTER TABLE %%I.%%I ALTER COLUMN %%I SET (%%s)',
              %(schema)s::text, %(table)s::text, attname, array_to_string(attoptions, ', '))
FROM pg_attribute
WHERE attrelid = to_regclass('tracker.' || %(table)s) AND NOT attisdropped AND attoptions IS NOT NULL
UNION ALL
SELECT format('ALTER TABLE %%I.%%I ALTER COLUMN %%I SET STATISTICS %%s',
              %(schema)s::text, %(table)s::text, attname, attstattarget)
FROM pg_attribute
WHERE attrelid = to_regclass('tracker.' || %(table)s) AND attnum > 0 AND NOT attisdropped AND attstattarget >= 0

-- name: dependents
WITH replaced AS (
    SELECT oid, relname, relrowsecurity, relforcerowsecurity FROM pg_class
    WHERE oid IN ('tracker.job'::regclass, 'tracker.rollup'::regclass, 'tracker.event'::regclass)
),
lines AS (
    SELECT DISTINCT 1 AS step, format('CREATE OR REPLACE VIEW %s%s AS %s', v.oid::regclass,
        ' WITH (' || array_to_string(v.reloptions, ', ') || ')', pg_get_viewdef(v.oid)) AS line
    FROM pg_depend AS d JOIN pg_rewrite AS w ON w.oid = d.objid JOIN pg_class AS v ON v.oid = w.ev_class
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND v.relkind = 'v'
      AND d.refobjid IN (
          SELECT oid FROM replaced UNION ALL
          SELECT inhrelid FROM pg_inherits WHERE inhparent = 'tracker.event'::regclass)
    UNION ALL
    SELECT 2, pg_get_triggerdef(t.oid) FROM pg_trigger AS t JOIN replaced AS r ON r.oid = t.tgrelid
    WHERE NOT t.tgisinternal
    UNION ALL
    SELECT 3, format('ALTER TABLE tracker.%I %s TRIGGER %I', r.relname,
        CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END, t.tgname)
    FROM pg_trigger AS t JOIN replaced AS r ON r.oid = t.tgrelid
    WHERE NOT t.tgisinternal AND t.tgenabled <> 'O'
    UNION ALL
    SELECT 2, format('CREATE POLICY %I ON tracker.%I AS %s FOR %s TO %s', p.policyname, r.relname, p.permissive,
            p.cmd, (SELECT string_agg(CASE role WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(role) END, ', ')
                    FROM unnest(p.roles) AS role))
        || coalesce(' USING (' || p.qual || ')', '') || coalesce(' WITH CHECK (' || p.with_check || ')', '')
    FROM pg_policies AS p JOIN replaced AS r ON r.relname = p.tablename WHERE p.schemaname = 'tracker'
    UNION ALL
    SELECT 3, format('ALTER TABLE tracker.%I ENABLE ROW LEVEL SECURITY', relname) FROM replaced WHERE relrowsecurity
    UNION ALL
    SELECT 3, format('ALTER TABLE tracker.%I FORCE ROW LEVEL SECURITY', relname) FROM replaced WHERE relforcerowsecurity
)
SELECT line FROM lines ORDER BY step, line

-- name: owners
-- A partition that the old history did not have gets the owner of the history.
SELECT format('ALTER TABLE tracker.%%I OWNER TO %%I', made.relname, pg_get_userbyid(wanted.owner))
FROM pg_class AS made
LEFT JOIN pg_class AS old ON old.relname = made.relname AND old.relnamespace = to_regnamespace(%(old)s)
CROSS JOIN LATERAL (
    SELECT coalesce(old.relowner, (
        SELECT relowner FROM pg_class WHERE relname = 'event' AND relnamespace = to_regnamespace(%(old)s)))
) AS wanted (owner)
WHERE made.relowner <> wanted.owner
  AND (made.oid IN ('tracker.job'::regclass, 'tracker.rollup'::regclass, 'tracker.event'::regclass)
       OR made.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'tracker.event'::regclass))

-- name: grants
-- Default privileges may have given the new tables grants that the old ones do not have: those are revoked first.
WITH pair AS (
    SELECT made.relname, made.relacl AS made_rights, old.oid, old.relowner, old.relacl
    FROM pg_class AS made
    JOIN pg_class AS old ON old.relname = made.relname AND old.relnamespace = to_regnamespace(%(old)s)
    WHERE made.relnamespace = 'tracker'::regnamespace AND made.relkind IN ('r', 'p')
),
lines AS (
    SELECT DISTINCT 1 AS step, format('REVOKE ALL ON tracker.%%I FROM %%s', relname,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END) AS line
    FROM pair CROSS JOIN aclexplode(made_rights)
    WHERE made_rights IS DISTINCT FROM relacl
    UNION ALL
    SELECT 2, format('GRANT %%s ON tracker.%%I TO %%s%%s', privilege_type, relname,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
        CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END)
    FROM pair CROSS JOIN aclexplode(coalesce(relacl, acldefault('r', relowner)))
    WHERE made_rights IS DISTINCT FROM relacl
    UNION ALL
    SELECT 3, format('GRANT %%s (%%I) ON tracker.%%I TO %%s%%s', privilege_type, attname, relname,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
        CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END)
    FROM pair JOIN pg_attribute AS a ON a.attrelid = pair.oid CROSS JOIN aclexplode(a.attacl)
    WHERE NOT attisdropped
)
SELECT line FROM lines ORDER BY step, line

-- name: comments
-- LIKE copies the comments of columns and checks.
SELECT format('COMMENT ON TABLE tracker.%%I IS %%L', made.relname, obj_description(old.oid, 'pg_class'))
FROM pg_class AS made
JOIN pg_class AS old ON old.relname = made.relname AND old.relnamespace = to_regnamespace(%(old)s)
WHERE made.relnamespace = 'tracker'::regnamespace AND made.relkind IN ('r', 'p')
  AND obj_description(old.oid, 'pg_class') IS NOT NULL
UNION ALL
SELECT format('COMMENT ON INDEX tracker.%%I IS %%L', old.relname, obj_description(old.oid, 'pg_class'))
FROM pg_class AS old
WHERE old.relnamespace = to_regnamespace(%(old)s) AND old.relkind IN ('i', 'I')
  AND to_regclass('tracker.' || quote_ident(old.relname)) IS NOT NULL
  AND obj_description(old.oid, 'pg_class') IS NOT NULL
UNION ALL
SELECT format('COMMENT ON CONSTRAINT %%I ON tracker.%%I IS %%L', k.conname, old.relname,
              obj_description(k.oid, 'pg_constraint'))
FROM pg_class AS old JOIN pg_constraint AS k ON k.conrelid = old.oid
WHERE old.relnamespace = to_regnamespace(%(old)s) AND old.relkind IN ('r', 'p') AND k.contype IN ('p', 'u')
  AND to_regclass('tracker.' || quote_ident(old.relname)) IS NOT NULL
  AND obj_description(k.oid, 'pg_constraint') IS NOT NULL
