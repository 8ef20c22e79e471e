# SPDX-License-Identifier: MIT
# What a driver asked of an AX88772 until its link was up, from the file of `usb_model --trace`: an access to the PHY is one line
# without the bus being taken and given back, polls of the PHY's state are left out, and so is the multicast filter, which both
# write while they do other things: RX control without groups too, once negotiation has been prepared.
function say(line) { if (line != last) print line; last = line }
$1 == "01" && $2 == "0b" { say("set interface " $6 + 0 " to " $4 + 0); next }
$1 != "40" && $1 != "c0" { next }
$2 == "06" || $2 == "0a" || ($2 == "09" && polls++) { next }
$2 == "10" && is_negotiating { next }
$2 == "16" || ($2 == "10" && $4 == "0098") { next }
$2 == "07" { if ($6 > 1) say("phy " $4 " read " $6); next }
$2 == "08" && $6 == "0004" { is_negotiating = 1 }
$2 == "08" { say("phy " $4 " write " $6 " " $10 $9); next }
{
    data = ""
    if ($1 == "40") for (i = 9; i <= NF; i++) data = data " " $i
    say(($1 == "40" ? "out " : "in ") $2 " value " $4 " index " $6 data)
}
$2 == "1b" && $4 == "0336" { exit }
