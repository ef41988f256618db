# How Sphinx makes the site of what ci/pages lays out. ci/site calls it.
project = "jobmesh"
author = "The jobmesh authors"
extensions = ["myst_parser"]
exclude_patterns = ["extra"]

# Links to headings of pages are checked, down to this level.
myst_heading_anchors = 4
# Two dashes are the beginning of a flag, and no dash.
smartquotes = False
# YAML with the brackets of Helm in it is no YAML for the highlighter.
suppress_warnings = ["misc.highlighting_failure"]
highlight_language = "none"
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

html_theme = "furo"
html_title = "jobmesh"
html_favicon = "icon.svg"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_extra_path = ["extra"]
html_copy_source = False
html_use_index = False
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {
    "light_logo": "icon.svg",
    "dark_logo": "icon.svg",
    # Links and marks that stand out enough from what is behind them.
    "light_css_variables": {"color-brand-primary": "#0a4bbd", "color-brand-content": "#0a4bbd", "color-foreground-muted": "#5a5c63"},
    "dark_css_variables": {"color-brand-primary": "#8ab4ff", "color-brand-content": "#8ab4ff", "color-foreground-muted": "#a3a6ad"},
}
