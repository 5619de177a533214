"""Reads compose files of version 2, 2.x, 3.x and the current specification, by docker compose's rules.

From the bottom up: what a file says with its places (`located`, `document`), its values (`interpolation`, `casts`,
`env_file`), several files as one (`merge`, `extends`, `include`, `loader`), one form for all syntaxes (`canonical`),
what is left out filled in (`normal`, `service_files`), what can't be (`schema`, `checks`), where it all comes from
(`sources`), and the answer (`shapes`, `answer`, `project`).
"""
