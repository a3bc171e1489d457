/*
 * upkeep - what the broker does now and then: save tables, look for silent clients, clean the store
 *
 * Timers on the service reactor; what may take long (the store's retention) runs on the workers, one round at a time.
 */
#ifndef BROKER_UPKEEP_H
#define BROKER_UPKEEP_H

struct broker;
struct upkeep;

/* Off the service reactor.  Owned until upkeep_stop(), which must come before the workers end. */
struct upkeep *upkeep_start(struct broker *b);
void upkeep_stop(struct upkeep *u);

#endif
