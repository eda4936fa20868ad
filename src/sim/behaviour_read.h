/*
 * How a key behaves, read from a scenario's or a control call's YAML. docs/simulator.md states the
 * format. One thread.
 */
#ifndef SIM_BEHAVIOUR_READ_H
#define SIM_BEHAVIOUR_READ_H

#include "sim/behaviour.h"
#include "sim/reader.h"

/* Sets anew what the map names; the rest stays. Complaints go to the reader. */
void sim_behaviour_read(struct sim_reader *reader, struct fy_node *node,
                        struct sim_behaviour *behaviour);

/* The same for a struct sim_limits alone. */
sim_read_fn sim_limits_read;

#endif
