#!/bin/bash
# The two database roles, made once when the database is (the image runs what lies in docker-entrypoint-initdb.d).
# assay_owner migrates; assay_app is what the web, the workers and beat log in as: it makes no tables, and the grants
# that `manage.py migrate` ends with keep it from changing what is immutable.
set -euo pipefail
secrets="${SECRETS:-/run/secrets}"

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  --set owner_password="$(cat "$secrets/database_owner_password")" \
  --set app_password="$(cat "$secrets/database_app_password")" <<'SQL'
CREATE ROLE assay_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'owner_password';
CREATE ROLE assay_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'app_password';
CREATE DATABASE assay OWNER assay_owner TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';
REVOKE ALL ON DATABASE assay FROM PUBLIC;
GRANT CONNECT ON DATABASE assay TO assay_app;
SQL
