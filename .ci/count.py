#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the tests in Meson's logs: each case of a TAP program, one for any other program.

usage: count.py TESTLOG_JSON...    prints: PASSED FAILED SKIPPED
"""

import json
import re
import sys

passed = failed = skipped = 0
for path in sys.argv[1:]:
    with open(path, encoding="utf-8", errors="replace") as log:
        for line in log:
            test = json.loads(line)
            cases = re.findall(r"^(not )?ok\b(.*)$", test.get("stdout", ""), re.M) \
                if re.search(r"^(TAP version|1\.\.)\d*", test.get("stdout", ""), re.M) else []
            skips = sum(1 for _, rest in cases if re.search(r"# *skip", rest, re.I))
            bad = sum(1 for no, _ in cases if no)
            result = test["result"]
            if result in ("OK", "EXPECTEDFAIL", "SKIP") and cases:
                passed += len(cases) - skips
                skipped += skips
            elif result in ("OK", "EXPECTEDFAIL"):
                passed += 1
            elif result == "SKIP":
                skipped += 1
            else:
                passed += len(cases) - skips - bad
                skipped += skips
                failed += max(bad, 1)
print(passed, failed, skipped)
