-- Who may do what in the registry on PostgreSQL.
--
-- Run it as the owner of the registry's tables, which is the user of `finops registry upgrade`,
-- after each upgrade; running it again changes nothing:
--
--   psql "$REGISTRY_URL" -v ON_ERROR_STOP=1 -1 -f deploy/postgresql/roles.sql
--
-- Then give people and machines users of their own within these roles:
--
--   CREATE ROLE anna LOGIN PASSWORD '…' IN ROLE finops_administrator;
--   CREATE ROLE pipeline LOGIN PASSWORD '…' IN ROLE finops_collector;
--   CREATE ROLE dashboard LOGIN PASSWORD '…' IN ROLE finops_reader;
--
-- finops_administrator  registers and changes teams, projects and keys. Adds to the audit log, and
--                       can neither change nor delete an entry of it.
-- finops_collector      runs `finops run`, `finops build` and Dagster: reads everything, keys'
--                       ciphertext too, and adds an entry to the audit log for each key it opens.
-- finops_reader         reads everything but keys' ciphertext, and writes nothing.
--
-- Nobody of them owns a table: schema changes, and removing the triggers that keep the audit log as
-- it is, are left to the owner, whose password no daily job needs. The owner can rewrite all of it;
-- keep the hash that `finops audit verify` prints where the owner cannot write.

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['finops_administrator', 'finops_collector', 'finops_reader']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', role_name);
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA public FROM %I', role_name);
    END LOOP;
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC;

GRANT SELECT ON
    alembic_version, teams, team_attributes, projects, project_attributes, project_ownership,
    audit_log, audit_head
TO finops_administrator, finops_collector, finops_reader;

-- Keys: the reader sees what `finops key status` shows, and no ciphertext.
GRANT SELECT ON api_keys TO finops_administrator, finops_collector;
GRANT SELECT (
    key_id, team_id, key_type, project_id, provider, last4, fingerprint, api_host,
    organization_id, wrapped_by, is_active, created_at, updated_at, deactivated_at
) ON api_keys TO finops_reader;

-- Users' pseudonyms: their key is made by whoever needs it first, and then stays. Erasing a user is
-- left to administrators.
GRANT SELECT, INSERT ON pseudonym_keys TO finops_administrator, finops_collector;
GRANT UPDATE ON pseudonym_keys TO finops_administrator;
GRANT SELECT ON erased_users TO finops_administrator, finops_collector, finops_reader;
GRANT INSERT ON erased_users TO finops_administrator;

-- The audit log grows at its end, and its head moves along.
GRANT INSERT ON audit_log TO finops_administrator, finops_collector;
GRANT UPDATE ON audit_head TO finops_administrator, finops_collector;

-- Teams, projects and keys are never deleted; periods are written anew with each dated change.
GRANT INSERT, UPDATE ON teams, projects, api_keys TO finops_administrator;
GRANT INSERT, UPDATE, DELETE ON team_attributes, project_attributes, project_ownership
TO finops_administrator;
GRANT USAGE ON SEQUENCE
    team_attributes_period_id_seq, project_attributes_period_id_seq,
    project_ownership_ownership_id_seq
TO finops_administrator;
