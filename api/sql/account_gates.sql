-- Gates of data quality that are closed at a tick: the newest step at or before it, of each check's newest version.
select check_name, source, since, metrics
  from (select distinct on (g.check_name, g.source) g.check_name, g.source, g.since, g.closed, g.metrics
          from quality_gates g
         where g.partition = %(partition)s
           and g.since <= %(tick)s
           and g.version = (select max(v.version)
                              from quality_gates v
                             where v.partition = g.partition and v.check_name = g.check_name and v.source = g.source)
         order by g.check_name, g.source, g.since desc) newest
 where closed
 order by check_name, source
