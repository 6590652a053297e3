"""What gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

from config.startup import refuse_powerful_role, refuse_unreadable_allowlist

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()
refuse_powerful_role()
refuse_unreadable_allowlist()
