"""What gunicorn serves."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from config.startup import refuse_powerful_role, refuse_unreadable_allowlist

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()
refuse_powerful_role()
refuse_unreadable_allowlist()
# Everything that a process ever loads is loaded now, and then looked over no more: answers of a thousand rows set off
# a collection of the whole process every few requests, which took a tenth of a second for nothing.
ROUTES = len(get_resolver().url_patterns)
gc.collect()
gc.freeze()
