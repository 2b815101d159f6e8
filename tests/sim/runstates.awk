# SPDX-License-Identifier: MIT
# Run, wait and blocked time of each vCPU out of what babeltrace2 says of a trace (--clock-cycles --no-delta): the rules of
# trace/README.md written a second time, sharing no code with trace/who.c.
#   babeltrace2 --clock-cycles --no-delta FOLDER | awk -v idle=32767 -f runstates.awk
# Prints "domid vcpu running runnable blocked", each in ticks.
function field(name,    m) {
    if (!match($0, "[{ ]" name " = (\\( \"[a-z_]*\" : container = )?[0-9]+"))
        return -1
    m = substr($0, RSTART, RLENGTH)
    sub(/.*[ ]/, "", m)
    return m + 0
}
function enter(v, state, time) {
    if (v in since)
        sum[v, state_of[v]] += time - since[v]
    else
        names[++nr] = v
    state_of[v] = state
    since[v] = time
}
{
    if (!match($0, /^\[[0-9]+\]/))
        next
    time = substr($0, RSTART + 1, RLENGTH - 2) + 0
    last = time
    cpu = field("cpu_id")
}
/ sched_wake: / {
    v = field("domid") " " field("vcpu_id")
    if (state_of[v] == "run")
        early[v] = time          # a stamp it shares with its leaving
    else
        enter(v, "wait", time)
}
/ sched_block: / {
    v = field("domid") " " field("vcpu_id")
    why = field("why")
    if (state_of[v] != "run")
        enter(v, why < 2 ? "blocked" : "offline", time)
}
/ sched_switch: / {
    if (field("prev_domid") != idle) {
        v = field("prev_domid") " " field("prev_vcpu_id")
        state = field("prev_state")
        if (on[v] == cpu || on[v] == "") {
            enter(v, state == 0 || early[v] == time ? "wait" : state == 1 ? "blocked" : "offline", time)
            on[v] = ""
        }
    }
    if (field("next_domid") != idle) {
        v = field("next_domid") " " field("next_vcpu_id")
        enter(v, "run", time)
        on[v] = cpu
        early[v] = ""
    }
}
END {
    for (i = 1; i <= nr; i++) {
        v = names[i]
        sum[v, state_of[v]] += last - since[v]
        print v, sum[v, "run"] + 0, sum[v, "wait"] + 0, sum[v, "blocked"] + 0
    }
}
