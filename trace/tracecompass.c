/* SPDX-License-Identifier: MIT */
/*
 * The analysis as a text: see tracecompass.h. Source of the elements: the schema of Trace Compass's data-driven analyses
 * (xmlDefinition.xsd, xmlStateProvider.xsd) and its user guide.
 *
 * State system:
 *   CPUs/<cpu>                     the domain that runs there; IDLE
 *   vCPUs/<domain>/<vCPU>          RUNNING, WAITING, BLOCKED
 *   vCPUs/<domain>/<vCPU>/cpu      where it runs or last ran
 * Within one decision the record of a block comes before that of the switch: who is still RUNNING at the switch was preempted, and
 * so no numbers of this build's enumerations are needed.
 */
#include "trace/tracecompass.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char analysis[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<!-- Parangon: who runs where, out of the scheduler's records -->\n"
    "<tmfxml xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:noNamespaceSchemaLocation=\"xmlDefinition.xsd\">\n"
    "  <timeGraphView id=\"parangon.cpus\">\n"
    "    <head>\n"
    "      <analysis id=\"parangon.scheduler\"/>\n"
    "      <label value=\"Processors: domain that runs\"/>\n"
    "    </head>\n"
    "    <definedValue name=\"IDLE\" value=\"32767\" color=\"#DDDDDD\"/>\n"
    "    <entry path=\"CPUs/*\" displayText=\"true\">\n"
    "      <display type=\"self\"/>\n"
    "      <name type=\"self\"/>\n"
    "    </entry>\n"
    "  </timeGraphView>\n"
    "  <timeGraphView id=\"parangon.vcpus\">\n"
    "    <head>\n"
    "      <analysis id=\"parangon.scheduler\"/>\n"
    "      <label value=\"vCPUs: running, waiting, blocked\"/>\n"
    "    </head>\n"
    "    <definedValue name=\"RUNNING\" value=\"1\" color=\"#1B6CA8\"/>\n"
    "    <definedValue name=\"WAITING\" value=\"2\" color=\"#D1630F\"/>\n"
    "    <definedValue name=\"BLOCKED\" value=\"3\" color=\"#DDDDDD\"/>\n"
    "    <entry path=\"vCPUs/*\">\n"
    "      <display type=\"self\"/>\n"
    "      <name type=\"self\"/>\n"
    "      <entry path=\"*\">\n"
    "        <display type=\"self\"/>\n"
    "        <name type=\"self\"/>\n"
    "      </entry>\n"
    "    </entry>\n"
    "  </timeGraphView>\n"
    "  <stateProvider id=\"parangon.scheduler\" version=\"1\">\n"
    "    <head>\n"
    "      <label value=\"Parangon scheduler\"/>\n"
    "    </head>\n"
    "    <definedValue name=\"RUNNING\" value=\"1\"/>\n"
    "    <definedValue name=\"WAITING\" value=\"2\"/>\n"
    "    <definedValue name=\"BLOCKED\" value=\"3\"/>\n"
    "    <definedValue name=\"IDLE\" value=\"32767\"/>\n"
    "    <location id=\"vcpu\">\n"
    "      <stateAttribute type=\"constant\" value=\"vCPUs\"/>\n"
    "      <stateAttribute type=\"eventField\" value=\"domid\"/>\n"
    "      <stateAttribute type=\"eventField\" value=\"vcpu_id\"/>\n"
    "    </location>\n"
    "    <location id=\"prev\">\n"
    "      <stateAttribute type=\"constant\" value=\"vCPUs\"/>\n"
    "      <stateAttribute type=\"eventField\" value=\"prev_domid\"/>\n"
    "      <stateAttribute type=\"eventField\" value=\"prev_vcpu_id\"/>\n"
    "    </location>\n"
    "    <location id=\"next\">\n"
    "      <stateAttribute type=\"constant\" value=\"vCPUs\"/>\n"
    "      <stateAttribute type=\"eventField\" value=\"next_domid\"/>\n"
    "      <stateAttribute type=\"eventField\" value=\"next_vcpu_id\"/>\n"
    "    </location>\n"
    "    <eventHandler eventName=\"sched_wake\">\n"
    "      <stateChange>\n"
    "        <if>\n"
    "          <not>\n"
    "            <condition>\n"
    "              <stateAttribute type=\"location\" value=\"vcpu\"/>\n"
    "              <stateValue type=\"int\" value=\"$RUNNING\"/>\n"
    "            </condition>\n"
    "          </not>\n"
    "        </if>\n"
    "        <then>\n"
    "          <stateAttribute type=\"location\" value=\"vcpu\"/>\n"
    "          <stateValue type=\"int\" value=\"$WAITING\"/>\n"
    "        </then>\n"
    "      </stateChange>\n"
    "    </eventHandler>\n"
    "    <eventHandler eventName=\"sched_block\">\n"
    "      <stateChange>\n"
    "        <stateAttribute type=\"location\" value=\"vcpu\"/>\n"
    "        <stateValue type=\"int\" value=\"$BLOCKED\"/>\n"
    "      </stateChange>\n"
    "    </eventHandler>\n"
    "    <eventHandler eventName=\"sched_switch\">\n"
    "      <stateChange>\n"
    "        <if>\n"
    "          <condition>\n"
    "            <stateAttribute type=\"location\" value=\"prev\"/>\n"
    "            <stateValue type=\"int\" value=\"$RUNNING\"/>\n"
    "          </condition>\n"
    "        </if>\n"
    "        <then>\n"
    "          <stateAttribute type=\"location\" value=\"prev\"/>\n"
    "          <stateValue type=\"int\" value=\"$WAITING\"/>\n"
    "        </then>\n"
    "      </stateChange>\n"
    "      <stateChange>\n"
    "        <if>\n"
    "          <not>\n"
    "            <condition>\n"
    "              <field name=\"next_domid\"/>\n"
    "              <stateValue type=\"long\" value=\"$IDLE\"/>\n"
    "            </condition>\n"
    "          </not>\n"
    "        </if>\n"
    "        <then>\n"
    "          <stateAttribute type=\"location\" value=\"next\"/>\n"
    "          <stateValue type=\"int\" value=\"$RUNNING\"/>\n"
    "        </then>\n"
    "      </stateChange>\n"
    "      <stateChange>\n"
    "        <if>\n"
    "          <not>\n"
    "            <condition>\n"
    "              <field name=\"next_domid\"/>\n"
    "              <stateValue type=\"long\" value=\"$IDLE\"/>\n"
    "            </condition>\n"
    "          </not>\n"
    "        </if>\n"
    "        <then>\n"
    "          <stateAttribute type=\"location\" value=\"next\"/>\n"
    "          <stateAttribute type=\"constant\" value=\"cpu\"/>\n"
    "          <stateValue type=\"eventField\" value=\"cpu\"/>\n"
    "        </then>\n"
    "      </stateChange>\n"
    "      <stateChange>\n"
    "        <stateAttribute type=\"constant\" value=\"CPUs\"/>\n"
    "        <stateAttribute type=\"eventField\" value=\"cpu\"/>\n"
    "        <stateValue type=\"eventField\" value=\"next_domid\" forcedType=\"int\"/>\n"
    "      </stateChange>\n"
    "    </eventHandler>\n"
    "  </stateProvider>\n"
    "</tmfxml>\n";

int tracecompass_write(const char *ctf_folder)
{
    size_t length = strlen(ctf_folder);
    char *path;
    FILE *out;
    int failed;

    while (length > 1 && ctf_folder[length - 1] == '/')
        length--;
    if (asprintf(&path, "%.*s.xml", (int)length, ctf_folder) < 0)
        return -1;
    out = fopen(path, "w");
    failed = !out || fputs(analysis, out) < 0;
    failed |= out && fclose(out) != 0;
    if (failed)
        fprintf(stderr, "parangon: %s: %s\n", path, strerror(errno));
    free(path);
    return failed ? -1 : 0;
}
