// htmx would add its indicator's style inline, which the content security policy refuses: admin.css has it.
"use strict";
window.htmx.config.includeIndicatorStyles = false;
