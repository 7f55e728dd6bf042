-- +goose Up

-- The program's rights where it does not own the tables: members of the role
-- dateline_app run the newsroom and can neither rewrite the audit trail nor
-- change the schema. `dateline migrate`, with the owner's DATABASE_URL, calls
-- this again, so that a role made later gets the same. It answers false where
-- there is no such role.
-- +goose StatementBegin
CREATE FUNCTION dateline_grants() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    place text := quote_ident(current_schema());
BEGIN
    -- Two at once would change the same lines of the catalogue.
    PERFORM pg_advisory_xact_lock(7308604895);
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dateline_app') THEN
        RETURN false;
    END IF;
    EXECUTE 'GRANT USAGE ON SCHEMA ' || place || ' TO dateline_app';
    EXECUTE 'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ' || place || ' TO dateline_app';
    -- What is written once: lines of the trail, and which keys belong here.
    REVOKE ALL ON audit, fingerprints FROM dateline_app;
    GRANT SELECT, INSERT ON audit, fingerprints TO dateline_app;
    REVOKE ALL ON audit_head FROM dateline_app;
    GRANT SELECT, UPDATE ON audit_head TO dateline_app;
    REVOKE ALL ON goose_db_version FROM dateline_app;
    GRANT SELECT ON goose_db_version TO dateline_app;
    RETURN true;
END $$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION dateline_grants() FROM PUBLIC;

-- Made here if this role may; else by whoever may (docs/operating.md). Roles
-- are the whole server's: another database's migration may be making it now.
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dateline_app') THEN
        CREATE ROLE dateline_app NOLOGIN;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'there is no role dateline_app, and % may not make it: see "Two roles on Postgres" in docs/operating.md', current_user;
    WHEN duplicate_object OR unique_violation THEN
        NULL;
END $$;
-- +goose StatementEnd
SELECT dateline_grants();

-- +goose Down
-- The role stays: other databases of the server may use it.
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'dateline_app') THEN
        EXECUTE 'REVOKE ALL ON ALL TABLES IN SCHEMA ' || quote_ident(current_schema()) || ' FROM dateline_app';
    END IF;
END $$;
-- +goose StatementEnd
DROP FUNCTION dateline_grants();
