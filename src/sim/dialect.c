#include "sim/dialect.h"

const struct sim_dialect *const sim_dialects[] = {&sim_openai, NULL};
