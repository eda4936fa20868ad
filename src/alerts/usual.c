#include "alerts/usual.h"

#include "base/clock.h"

#define HOUR_US (3600 * US_PER_SEC)

/* The weight of a new hour once there are many: that of a day ago counts for half, 1 - 2^(-1/24).
 * The first hours count alike. */
#define NEWEST 0.028468

/* After so many without anything nothing of before is left to speak of. */
enum { HOURS_KEPT = 24 * 30 };

static void end_hour(struct usual *usual, const struct usual_rules *rules)
{
    double weight;

    if (usual->spent < usual->average * rules->times || usual->spent < rules->at_least)
        usual->is_told = false;
    if (usual->hours < UINT32_MAX)
        usual->hours++;
    weight = 1.0 / usual->hours;
    if (weight < NEWEST)
        weight = NEWEST;
    usual->average += (usual->spent - usual->average) * weight;
    usual->spent = 0;
}

static void move_on(struct usual *usual, const struct usual_rules *rules, uint64_t hour)
{
    if (usual->hour == 0 || hour < usual->hour)
        usual->hour = hour;
    if (hour - usual->hour > HOURS_KEPT)
        *usual = (struct usual){.hour = hour};
    for (; usual->hour < hour; usual->hour++)
        end_hour(usual, rules);
}

bool usual_add(struct usual *usual, const struct usual_rules *rules, double amount, uint64_t now_us)
{
    /* From 1 on, as 0 stands for none. */
    move_on(usual, rules, now_us / HOUR_US + 1);
    if (amount > 0)
        usual->spent += amount;
    if (usual->is_told || usual->hours < USUAL_HOURS_MIN || usual->spent < rules->at_least ||
        usual->spent <= usual->average * rules->times)
        return false;
    usual->is_told = true;
    return true;
}

double usual_of(const struct usual *usual)
{
    return usual->hours < USUAL_HOURS_MIN ? 0 : usual->average;
}
