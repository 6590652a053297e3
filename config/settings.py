"""Django settings: from the environment only (see .env.example), one file for every way of running.

`ASSAY_SETTINGS=build` puts inert values where addresses and secrets are required, for lint, types,
collectstatic and the commands that start the services themselves.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.urls import reverse_lazy

from config import theme
from config.environment import key_bytes, names, one_of, setting, switch

BASE_DIR = Path(__file__).resolve().parent.parent
BUILD = os.environ.get("ASSAY_SETTINGS") == "build"


def required(name: str, inert: str) -> str:
    """A setting without a default; inert when nothing is going to connect."""
    return setting(name, inert if BUILD else None)


SECRET_KEY = required("ASSAY_SECRET_KEY", "inert-build-key-that-signs-nothing-of-value-0123456789")
SECRET_KEY_FALLBACKS = names("ASSAY_SECRET_KEY_FALLBACKS")
# What checkpoints of the journal, and evidence, are signed with: an Ed25519 key; and the public ones before it.
JOURNAL_KEY = key_bytes("ASSAY_JOURNAL_KEY", required("ASSAY_JOURNAL_KEY", "0" * 64))
JOURNAL_FORMER_KEYS = names("ASSAY_JOURNAL_FORMER_KEYS")
DEBUG = False
PUBLIC_URL = setting("ASSAY_PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
HTTPS = switch("ASSAY_HTTPS", PUBLIC_URL.startswith("https:"))
ALLOWED_HOSTS = names("ASSAY_ALLOWED_HOSTS") or [
    urlsplit(PUBLIC_URL).hostname or "",
    "127.0.0.1",
    "localhost",
]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

INSTALLED_APPS = [
    "config",
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "config.apps.AssayAdminConfig",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "guardian",
    "pgtrigger",
    "axes",
    "csp",
    "django_htmx",
    "registry",
    "lineage",
    "lifecycle",
    "console",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "registry.http.readable.Readable",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.security.ContentSecurity",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]


# ---- database: two roles. The web, the workers and beat log in as the runtime role; migrations as the owner.
def _database(url: str) -> dict[str, Any]:
    return dict(environ.Env.db_url_config(url, engine="django.db.backends.postgresql"))


DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        **_database(required("DATABASE_URL", "postgresql://inert:inert@127.0.0.1:1/inert")),
        "ATOMIC_REQUESTS": False,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": False,
    }
}
# Only the web keeps a pool: Celery closes Django's pool after every task.
if pool := int(setting("ASSAY_DB_POOL", "0")):
    DATABASES["default"]["OPTIONS"] = {"pool": {"min_size": 1, "max_size": pool, "timeout": 10}}
_owner_url = setting("DATABASE_OWNER_URL", "")
DATABASE_OWNER: dict[str, Any] | None = _database(_owner_url) if _owner_url else None
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ---- broker
REDIS_URL = required("REDIS_URL", "redis://127.0.0.1:1/0")
LEASE_SECONDS = int(setting("ASSAY_LEASE_SECONDS", "60"))
SWEEP_SECONDS = int(setting("ASSAY_SWEEP_SECONDS", "10"))
# How long targets have to follow when production changes, before that they do not is an event.
DEPLOYMENT_GRACE_SECONDS = int(setting("ASSAY_DEPLOYMENT_GRACE_SECONDS", "300"))

# ---- object store
S3_ENDPOINT_URL = required("S3_ENDPOINT_URL", "http://127.0.0.1:1")
S3_PUBLIC_ENDPOINT_URL = setting("S3_PUBLIC_ENDPOINT_URL", S3_ENDPOINT_URL)
S3_ACCESS_KEY_ID = required("S3_ACCESS_KEY_ID", "inert")
S3_SECRET_ACCESS_KEY = required("S3_SECRET_ACCESS_KEY", "inert")
S3_REGION = setting("S3_REGION", "us-east-1")
S3_KEY_PREFIX = setting("S3_KEY_PREFIX", "")
# Parts of uploads are signed with, and checked by the store against, their SHA-256.
S3_PART_CHECKSUMS = switch("S3_PART_CHECKSUMS", True)
# How long an answer may take, of three attempts: of the store, and where it works on copies and joins first.
S3_READ_TIMEOUT_SECONDS = int(setting("S3_READ_TIMEOUT_SECONDS", "10"))
S3_COPY_TIMEOUT_SECONDS = int(setting("S3_COPY_TIMEOUT_SECONDS", "120"))
# How long the old copy stays after bytes have moved between hot and cold.
TIER_GRACE_SECONDS = int(setting("ASSAY_TIER_GRACE_SECONDS", "86400"))
# How long bytes that nobody needs are kept; uploads that were begun meanwhile rely on it.
GARBAGE_GRACE_SECONDS = int(setting("ASSAY_GARBAGE_GRACE_SECONDS", "604800"))
# Within which every stored byte is read again, and how fast that may go; 0: as fast as it can.
SCRUB_PERIOD_SECONDS = int(setting("ASSAY_SCRUB_PERIOD_SECONDS", "604800"))
SCRUB_MIB_PER_SECOND = int(setting("ASSAY_SCRUB_MIB_PER_SECOND", "100"))
S3_BUCKETS = {
    "hot": setting("S3_BUCKET_HOT", "assay-hot"),
    "cold": setting("S3_BUCKET_COLD", "assay-cold"),
    "attachments": setting("S3_BUCKET_ATTACHMENTS", "assay-attachments"),
}


def _bucket(name: str) -> dict[str, Any]:
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": S3_BUCKETS[name],
            "endpoint_url": S3_ENDPOINT_URL,
            "access_key": S3_ACCESS_KEY_ID,
            "secret_key": S3_SECRET_ACCESS_KEY,
            "region_name": S3_REGION,
            "location": S3_KEY_PREFIX,
            "addressing_style": "path",
            "file_overwrite": False,
            "max_memory_size": 16 * 1024 * 1024,
            "querystring_auth": True,
        },
    }


STORAGES = {
    "default": _bucket("attachments"),
    "hot": _bucket("hot"),
    "cold": _bucket("cold"),
    "attachments": _bucket("attachments"),
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
STATIC_URL = "/static/"
# Where nothing is collected (a plain checkout, the tests), the apps' own folders are served.
STATIC_ROOT = setting("ASSAY_STATIC_ROOT", "") or None
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
WHITENOISE_MANIFEST_STRICT = False
if WHITENOISE_USE_FINDERS:
    STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}

# ---- people
AUTH_USER_MODEL = "registry.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = "/"
ANONYMOUS_USER_NAME = None
GUARDIAN_MONKEY_PATCH_USER = False
SILENCED_SYSTEM_CHECKS = [
    "guardian.W001",  # rights are asked of registry.permissions, never of user.has_perm
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 1
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_VERBOSE = False
# Its pages are not ours: no rule says who may delete a lock-out.
AXES_ENABLE_ADMIN = False

# ---- HTTP
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_SSL_REDIRECT = False
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
    }
}
# What replaces directives of it under /admin/: Alpine, which the theme is built on, evaluates expressions.
ADMIN_CONTENT_SECURITY = {
    "script-src": ["'self'", "'unsafe-eval'"],
    "style-src": None,
    "style-src-elem": ["'self'"],
    "style-src-attr": ["'unsafe-inline'"],
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "registry.http.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["registry.http.access.DenyAll"],
    "DEFAULT_PARSER_CLASSES": ["registry.http.parsing.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "registry.http.schema.Schema",
    "EXCEPTION_HANDLER": "config.api.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "COERCE_DECIMAL_TO_STRING": False,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Assay",
    "DESCRIPTION": "An on-premises AI model registry: provenance, gates, approvals, proven bytes.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["registry.http.access.SignedIn"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
}

# ---- events: who hears of a journal entry, by name. Called by the outbox drain, in its transaction.
ROUTE_RULES = "config.rules.RULES"
ADMIN_RULES = "config.rules.ADMIN_RULES"
EVENT_CONSUMERS = [
    "registry.journal.webhooks.plan_deliveries",
    "registry.journal.notices.mail_of_webhooks",
    "registry.journal.notices.mail_of_journal",
    "lineage.purchases.retell_purchase",
    "lifecycle.evidence.consider_event",
    "lifecycle.mail.mail_people",
    "protocols.openlineage.sending.plan_sending",
]
# What above the registry may have a blob in its hands, by name: called with a digest, each gives the rows that do.
BLOB_CLAIMS = ["lifecycle.retention.moves_under_way"]
WEBHOOK_HOSTS = names("ASSAY_WEBHOOK_HOSTS")
# The mail server that people are told by (empty: nobody is).
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = setting("ASSAY_SMTP_HOST", "")
EMAIL_PORT = int(setting("ASSAY_SMTP_PORT", "587"))
EMAIL_HOST_USER = setting("ASSAY_SMTP_USER", "")
EMAIL_HOST_PASSWORD = setting("ASSAY_SMTP_PASS", "")
EMAIL_SECURITY = one_of("ASSAY_SMTP_TLS", "starttls", "tls", "none")
EMAIL_USE_TLS, EMAIL_USE_SSL = EMAIL_SECURITY == "starttls", EMAIL_SECURITY == "tls"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = setting(
    "ASSAY_MAIL_FROM", f"Assay <assay@{urlsplit(PUBLIC_URL).hostname or 'localhost'}>"
)
# Where our runs are told as OpenLineage events (empty: nowhere), by which key, and how our namespaces begin there.
OPENLINEAGE_URL = setting("ASSAY_OPENLINEAGE_URL", "")
OPENLINEAGE_API_KEY = setting("ASSAY_OPENLINEAGE_API_KEY", "")
OPENLINEAGE_NAMESPACE = setting("ASSAY_OPENLINEAGE_NAMESPACE", "assay")

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = ["config.formats"]
LANGUAGE_CODE = "en-us"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": setting("ASSAY_LOG_LEVEL", "INFO")},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "axes": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
    },
}
UNFOLD = theme.UNFOLD
