-- Purpose: tell whether a name is a procedure or a function, how many parameters a call lists, and how many need a value.
-- Minimum version: 15. Permission: none.
SELECT /* dbplanmon */
    p.prokind = 'p' AS is_procedure,
    coalesce(cardinality(p.proallargtypes), p.pronargs) AS parameters,
    CASE
        WHEN p.prokind = 'p'
            THEN p.pronargs - (SELECT count(*) FROM unnest(p.proargmodes) AS m WHERE m = 'b')
        ELSE p.pronargs - p.pronargdefaults
    END AS inputs
FROM pg_catalog.pg_proc AS p
WHERE p.oid = to_regproc(%(name)s)
