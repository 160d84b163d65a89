import sys; sys.path.insert(0,'.')
import itertools
import plan15_compare as c
from reference import Settings
bad=0
for est,fil,link,d,head,H,lags in itertools.product(['frozen','snap1'],['sgd','kalman'],c.LINK,[0,2],[0,3],[5,1,23],[1,2]):
    s=Settings(2,3,H,lags=lags,cell='columnar',estimator=est,filter=fil,link=link,max_delay=d,head=head,head_gain=float(head>0),anneal_steps=100000)
    r=c.run(s,100); w=max(r.values())
    if w>1e-3: bad+=1; print('BAD',est,fil,link,d,head,H,{k:f'{v:.1e}' for k,v in r.items()})
print({k:f'{v:.1e}' for k,v in r.items()},'bad',bad)
for d in (0,2):
    s=Settings(2,3,5,lags=2,cell='columnar',head=3,head_gain=1.,estimator='snap1',max_delay=d,follow=True,anchor=(0,1,None),scale_rate=2e-3,gate=5.0,prior_units=True,linear_lags=4,linear_forget=.999,slow_forget=.9998,mix_forget=.998,prior=3.,prior_hidden=.05,info_floor=.005,anneal_steps=100000,input_gain=1.2,recurrent_gain=.6)
    print({k:f'{v:.1e}' for k,v in c.run(s,300).items()})
